"""The providers that app.py connects to by default: a payment server, a directory of people, a mail server. Ctrl-C ends them."""

import threading

from remit.sandbox.directory import DirectoryServer, Person
from remit.sandbox.mail import MailServer
from remit.sandbox.payments import PaymentSandbox

PEOPLE = [Person("acc_ada", "ada", "ada@example.org"), Person("acc_bo", "bo", "bo@example.org", active=False)]


def stock(payments: PaymentSandbox) -> list[str]:
    """Make a customer with something to refund and a plan to change; say what there is."""
    ada = payments.charging.create_customer(name="Ada", email="ada@example.org")["id"]
    lamp = payments.charging.create_payment(amount=4900, currency="eur", customer=ada)["id"]
    sofa = payments.charging.create_payment(amount=18000, currency="eur", customer=ada)["id"]
    plans = {"basic_monthly": 900, "pro_monthly": 1900}
    prices = [
        payments.billing.create_price(
            currency="eur", unit_amount=amount, recurring={"interval": "month"}, product_data={"name": plan}, lookup_key=plan
        )
        for plan, amount in plans.items()
    ]
    subscription = payments.billing.create_subscription(customer=ada, items=[{"price": prices[0]["id"]}])["id"]
    return [f"customer {ada}", f"payment {lamp}, 49.00 EUR", f"payment {sofa}, 180.00 EUR", f"subscription {subscription}, basic_monthly"]


if __name__ == "__main__":
    with PaymentSandbox(12111) as payments, DirectoryServer(PEOPLE, port=12112), MailServer(12113) as mail:
        print(*stock(payments), "accounts ada, and bo, who is locked", sep="\n", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(payments.ledger())} effects at the payment server, {len(mail.messages)} mails")

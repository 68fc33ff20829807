"""A support desk with four families of actions: refunds and plans at Stripe, a calendar, accounts in a directory.

    python sandbox.py                                  the providers to try it on, in a terminal of their own
    remit call look_up_payment --arg payment_id=pi_00000002 --as-subject cus_00000001
    STRIPE_API_KEY=sk_test_… remit serve               the same with Stripe's test mode

What it connects to comes from the environment; each setting has the sandbox's address as its default.
"""

from os import environ
from pathlib import Path

from remit import Runtime
from remit.actions.library import accounts, appointments, payments, plans
from remit.actions.library.calendar import EmbeddedCalendar
from remit.actions.library.directory import ScimDirectory
from remit.actions.library.mail import SmtpMail
from remit.actions.library.reset_links import ResetLinks
from remit.actions.library.stripe import Stripe

HERE = Path(__file__).parent

key = environ.get("STRIPE_API_KEY")
payments_url = environ.get("PAYMENTS_URL") or (None if key else "http://127.0.0.1:12111")
stripe = Stripe(key or "sk_test_sandbox", api_base=payments_url)
calendar = EmbeddedCalendar(HERE / "calendar.db")
directory = ScimDirectory(environ.get("DIRECTORY_URL", "http://127.0.0.1:12112/v2"), token=environ.get("DIRECTORY_TOKEN"))
mail = SmtpMail(environ.get("MAIL_HOST", "127.0.0.1"), int(environ.get("MAIL_PORT", "12113")), "support@shop.example.org")
links = ResetLinks(HERE / "links.db", address="https://shop.example.org/reset?token=")

connectors = [stripe, calendar, directory, mail, links]
runtime = Runtime([payments, plans, appointments, accounts], policies=HERE / "policies", database=HERE / "remit.db", resources=connectors)

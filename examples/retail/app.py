"""A shop's support desk over the database of a benchmark, which is not part of this project: README.md says where it is from.

    export RETAIL_DB=path/to/db.json
    remit call get_order_details --arg order_id=#W2611340 --as-subject james_li_5688 --assurance 1

The file is only read. What is changed is kept beside this one, in changes.db.
"""

from os import environ
from pathlib import Path

from shop import changes, lookups
from shop.database import Database

from remit import Runtime

HERE = Path(__file__).parent

database = Database.read(Path(environ["RETAIL_DB"]), changes=HERE / "changes.db")
runtime = Runtime([lookups, changes], policies=HERE / "policies", database=HERE / "remit.db", resources=[database])

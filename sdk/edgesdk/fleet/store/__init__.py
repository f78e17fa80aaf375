"""What is known of a fleet, in one database: SQLite by default, PostgreSQL by URL.

    engine     a URL becomes a database that is open, and of the version that this edgesdk knows
    tables     every table; `columns` and `figures` say what they are made of
    …          one file for each theme of reading and writing; each takes a connection, and knows no MQTT and no HTTP

Whoever writes does so `with writing(engine) as connection`, in short transactions; whoever reads, `with reading(engine)`.
"""

from __future__ import annotations

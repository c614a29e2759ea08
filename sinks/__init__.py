"""SessionDetails in, rows in a database. Knows nothing of SIP."""

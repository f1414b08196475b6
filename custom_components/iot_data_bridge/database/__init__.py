"""A site's SQLite file: the price list and the record of its sessions, a row a change."""

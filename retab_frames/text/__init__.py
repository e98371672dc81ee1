"""Words and tables for people: printable values, messages, tables, pages."""

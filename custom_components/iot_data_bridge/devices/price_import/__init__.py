"""Reading a price list as spreadsheets and shop systems write it: bytes to text, text to columns, cells to edits."""

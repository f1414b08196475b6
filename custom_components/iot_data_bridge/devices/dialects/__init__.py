"""One module for each language that printers speak, all with the same face."""

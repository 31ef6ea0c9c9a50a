"""What an HTML page is made of."""

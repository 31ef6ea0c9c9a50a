"""Messages read from their bytes under limits, before anything is made of them."""

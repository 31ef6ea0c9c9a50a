"""How a server is reached: addresses, channels, and what their failures mean."""

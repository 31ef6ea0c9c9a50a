"""What the client can do, written once for both clients; see `heatproof.client.clients.effects`."""

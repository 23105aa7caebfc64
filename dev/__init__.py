"""What developers run beside the product: servers of the embedded stack, seeds, an emulator."""

"""Pure decisions: values in, values out. No clock, file, socket, device or thread in this room."""

"""Roll-outs: another model to many devices, wave by wave, and back again where it does worse."""

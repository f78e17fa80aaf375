"""Who made a bundle: keys, signatures over a bundle's digest, and which keys are trusted here."""

"""The device's half of enrolment: a key of its own, a claim, its configuration, and renewal before the certificate ends."""

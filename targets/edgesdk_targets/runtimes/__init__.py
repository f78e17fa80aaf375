"""One file a runtime: load, run, bind, and translate its errors. Nothing else imports a runtime."""

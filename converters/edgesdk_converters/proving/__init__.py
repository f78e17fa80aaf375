"""Whether an artifact still gives the source's answers: parity, the gate's verdict, its speed."""

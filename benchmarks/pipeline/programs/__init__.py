"""What is measured, each in a process of its own and, for peers, in an environment of its own: numpy, OpenCV, paho."""

"""A stream of pictures: read, decoded and worked on by several threads in bounded memory."""

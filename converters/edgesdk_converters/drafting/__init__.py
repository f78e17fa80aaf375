"""What a model file says of itself: its facts are read, its outputs recognised, and a card is drafted from both."""

"""What happens in the pictures: rules on tracked objects, told as events that begin, change and end."""

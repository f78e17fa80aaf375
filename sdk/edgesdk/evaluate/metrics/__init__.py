"""The figures themselves: functions of plain arrays, each computed for many draws of the pictures at once."""

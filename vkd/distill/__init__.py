"""The heart: a student, its teachers, and the methods between them."""

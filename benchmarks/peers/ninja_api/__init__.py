"""django-ninja on the same models and settings as the stock project."""

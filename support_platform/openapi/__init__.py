"""The OpenAPI document: derived from what the views declare, checked against what they answer."""

"""Django REST framework with the libraries that go with it, each as its documentation recommends."""

"""How the console looks: the names and icons that django-unfold asks for, and its classes for our forms."""

from functools import partial

from django.forms import CheckboxInput, HiddenInput, Select, Textarea
from django.templatetags.static import static
from django.urls import reverse
from django.utils.text import capfirst


def _link(name, request):
    return reverse(name)


UNFOLD = {
    "SITE_TITLE": "Support platform",
    "SITE_HEADER": "Support platform",
    "SITE_SYMBOL": "support_agent",
    "SITE_URL": None,
    "SITE_FAVICONS": [{"rel": "icon", "href": "data:,"}],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [
        lambda request: static("support_platform/colors.css"),
        lambda request: static("support_platform/console.css"),
        lambda request: static("support_platform/own.css"),
        lambda request: static("support_platform/dialogs.css"),
        lambda request: static("support_platform/rows.css"),
        lambda request: static("support_platform/trader.css"),
        lambda request: static("support_platform/home.css"),
    ],
    "SCRIPTS": [
        lambda request: static("support_platform/console.js"),
        lambda request: static("support_platform/panels.js"),
        lambda request: static("support_platform/dialog.js"),
    ],
    "SIDEBAR": {"show_search": True, "command_search": True},
    # What the menu at one's own name leads to.
    "ACCOUNT": {
        "navigation": [
            {"title": title, "link": partial(_link, f"admin:{name}")}
            for title, name in (
                ("Second factor", "second_factor"),
                ("Sessions", "own_sessions"),
                ("Change password", "password_change"),
            )
        ]
    },
}


def navigation(request, app_list):
    """unfold's table of the side bar: home, then what this person may see, by domain."""
    home = reverse("admin:index")
    groups = [{"items": [_item("Home", "home", home, request.path == home)]}]
    for app in app_list:
        items = [
            _item(
                capfirst(model["name"]), model["icon"], model["admin_url"], request.path.startswith(model["admin_url"])
            )
            for model in app["models"]
        ]
        groups.append({"title": app["name"], "separator": True, "items": items})
    return groups


def _item(title, icon, link, is_here):
    return {"title": title, "icon": icon, "link": link, "active": is_here, "has_permission": True}


def dress(fields):
    """Give the widgets of a form's fields the console's classes."""
    from unfold import widgets  # it reads the settings, which name this module

    for field in fields.values():
        widget = field.widget
        if isinstance(widget, HiddenInput):
            continue
        if isinstance(widget, CheckboxInput):
            classes = widgets.CHECKBOX_CLASSES
        elif isinstance(widget, Select):
            classes = widgets.SELECT_CLASSES
        elif isinstance(widget, Textarea):
            classes = widgets.TEXTAREA_CLASSES
        else:
            classes = widgets.INPUT_CLASSES
        widget.attrs["class"] = " ".join(classes)

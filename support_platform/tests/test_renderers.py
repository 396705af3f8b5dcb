"""Pages by orjson, the rest by DRF's renderer: the same JSON, and never NaN."""

import json

import pytest

from support_platform.renderers import FastRenderer, Finite

VALUE = {"ü": ["\u2028 \u2029", 1.5, 1e-7, 10**18, None, True, '\\ " </script> 𝒳']}


@pytest.mark.parametrize("more", [{}, {"number": 10**30}], ids=["64 bits", "more than 64 bits"])
def test_a_page_is_the_same_json_as_everything_else(more):
    page = FastRenderer().render(Finite(VALUE, **more))
    assert json.loads(page) == json.loads(FastRenderer().render({**VALUE, **more})) == {**VALUE, **more}
    assert "\u2028" not in page.decode()
    assert "\u2029" not in page.decode()


def test_what_is_no_number_is_refused_outside_pages():
    with pytest.raises(ValueError, match="JSON compliant"):
        FastRenderer().render({"rate": float("nan")})

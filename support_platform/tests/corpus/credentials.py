"""Headers Authorization that nobody is to be let in with: {readable name: value, None for no header}."""

import base64
import json
import time

import jwt
from django.conf import settings

OTHER_KEY = "another key than ours, and long enough for HS512 that no library warns of its length."


def bad_credentials(pair):
    """`pair` holds a live {"access", "refresh"}; what is made of it differs in one thing each."""
    key = settings.SIMPLE_JWT["SIGNING_KEY"]
    access = pair["access"]
    claims = jwt.decode(access, options={"verify_signature": False})
    head, payload, signature = access.split(".")

    def signed(**changes):
        changed = {name: value for name, value in {**claims, **changes}.items() if value is not ...}
        return jwt.encode(changed, key, algorithm="HS256")

    tokens = {
        "garbage": "garbage",
        "three dots": "...",
        "three empty parts": "..",
        "half of it": access[: len(access) // 2],
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "a signature cut": access[:-2],
        "a signature of zeros": f"{head}.{payload}.{'A' * len(signature)}",
        "a bit of the payload changed": f"{head}.{payload[:-1]}{'A' if payload[-1] != 'A' else 'B'}.{signature}",
        "capitals": access.upper(),
        "twice": f"{access}.{access}",
        "NUL inside": f"{access[:9]}\x00{access[9:]}",
        "8,000 characters": "a" * 8000,
        "not ASCII": "\u00e9" * 9,
        "the refresh token": pair["refresh"],
        "alg none": unsigned(claims, {"alg": "none", "typ": "JWT"}),
        "alg None in capitals": unsigned(claims, {"alg": "NONE"}),
        "no alg": unsigned(claims, {"typ": "JWT"}),
        "alg null": unsigned(claims, {"alg": None}),
        "alg an object": unsigned(claims, {"alg": {}}),
        "a key in the header": unsigned(claims, {"alg": "HS256", "jwk": {"kty": "oct", "k": "AA"}, "kid": "../../x"}),
        "payload null": unsigned(None, {"alg": "HS256"}),
        "payload a list": unsigned([claims], {"alg": "HS256"}),
        "another key": jwt.encode(claims, OTHER_KEY, algorithm="HS256"),
        "another algorithm": jwt.encode(claims, key * 2, algorithm="HS512"),
        "expired": signed(exp=int(time.time()) - 60),
        "exp 0": signed(exp=0),
        "exp -1": signed(exp=-1),
        "exp 10^30": signed(exp=10**30),
        "exp of 400 digits": signed(exp=10**400),
        "exp in words": signed(exp="tomorrow"),
        "exp null": signed(exp=None),
        "exp a list": signed(exp=[claims["exp"]]),
        "no exp": signed(exp=...),
        "nbf in the future": signed(nbf=int(time.time()) + 3600),
        "type refresh": signed(token_type="refresh"),
        "type null": signed(token_type=None),
        "no type": signed(token_type=...),
        "no jti": signed(jti=...),
        "jti a number": signed(jti=7),
        **{
            f"{name} {told}": signed(**{name: value})
            for name in ("user_id", "session", "session_version")
            for told, value in {
                "missing": ...,
                "null": None,
                "abc": "abc",
                "NUL": "\x00",
                "an object": {},
                "a list": [claims[name]],
                "true": True,
                "0": 0,
                "-1": -1,
                "1.5": 1.5,
                "2^63": 2**63,
                "10^30": 10**30,
                "another": 999_999 if name != "session" else "00000000-0000-4000-8000-000000000000",
            }.items()
        },
    }
    return {
        "no header": None,
        "empty": "",
        "Bearer alone": "Bearer",
        "Bearer and a space": "Bearer ",
        "no scheme": access,
        "another scheme": f"Token {access}",
        "Basic": "Basic " + base64.b64encode(b"supervisor:password").decode(),
        "two words": f"Bearer {access} {access}",
        "a comma": f"Bearer {access}, Bearer {access}",
        "in quotes": f'Bearer "{access}"',
        "as a parameter": f"Bearer token={access}",
        **{name: f"Bearer {token}" for name, token in tokens.items()},
    }


def unsigned(claims, head):
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, claims)]
    return ".".join((*parts, ""))

"""FastAPI with raw asyncpg: the leanest that anyone writes. No model, no schema: rows to dicts to orjson."""

import os
import time
from contextlib import asynccontextmanager

import asyncpg
import jwt
import orjson
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from redis.asyncio import Redis

from .sql import AS_INSTANT, COUNT, LIMIT

KEY = os.environ["SECRET_KEY"]
USER = "SELECT is_active AND is_staff FROM accounts_user WHERE id = $1"
# The page first, then the texts: else the planner may write them for all rows of the trader, and sort these.
LIST = f"""
SELECT {AS_INSTANT} FROM (
    SELECT * FROM trading_trade WHERE user_id = $1 ORDER BY taken_at DESC, id DESC LIMIT 100
) trade ORDER BY trade.taken_at DESC, trade.id DESC
"""


@asynccontextmanager
async def lifespan(app):
    app.state.count = Redis.from_url(os.environ["REDIS_URL"]).register_script(COUNT)
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=8) as app.state.pool:
        yield


app = FastAPI(lifespan=lifespan)
bearer = HTTPBearer()


async def caller(request: Request, credentials: HTTPAuthorizationCredentials = Depends(bearer)):  # noqa: B008
    try:
        claims = jwt.decode(credentials.credentials, KEY, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = claims["user_id"]
    if not await request.app.state.pool.fetchval(USER, user):
        raise HTTPException(401)
    if await request.app.state.count([f"asyncpg:{user}:{int(time.time())}"]) > LIMIT:
        raise HTTPException(429)
    return user


@app.get("/trades/", dependencies=[Depends(caller)])
async def trades(request: Request, user: int):
    rows = await request.app.state.pool.fetch(LIST, user)
    body = orjson.dumps({"results": [dict(row) for row in rows]}, option=orjson.OPT_UTC_Z)
    return Response(body, media_type="application/json")


@app.get("/health/live/")
async def live():
    return {"status": "ok"}

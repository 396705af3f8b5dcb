"""FastAPI with SQLAlchemy's ORM as usually written: mapped classes, a session for each request, a response model."""

import os
import time
from datetime import datetime
from decimal import Decimal

import jwt
from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from redis.asyncio import Redis
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from .sql import COUNT, LIMIT

KEY = os.environ["SECRET_KEY"]
engine = create_async_engine(os.environ["DATABASE_URL"].replace("postgres://", "postgresql+asyncpg://"), pool_size=8)
make_session = async_sessionmaker(engine, expire_on_commit=False)
count = Redis.from_url(os.environ["REDIS_URL"]).register_script(COUNT)
app = FastAPI()
bearer = HTTPBearer()


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "accounts_user"
    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    is_staff: Mapped[bool]
    is_active: Mapped[bool]


class Trade(Base):
    __tablename__ = "trading_trade"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    strategy_id: Mapped[int]
    deployment_id: Mapped[int]
    symbol: Mapped[str]
    side: Mapped[str]
    quantity: Mapped[Decimal]
    entry_price: Mapped[Decimal]
    exit_price: Mapped[Decimal | None]
    strike: Mapped[Decimal | None]
    stop_loss: Mapped[Decimal | None]
    target: Mapped[Decimal | None]
    fees: Mapped[Decimal]
    result: Mapped[Decimal | None]
    taken_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    is_corrected: Mapped[bool]
    external_id: Mapped[str | None]
    version: Mapped[int]

    @property
    def status(self):
        return "open" if self.closed_at is None else "closed"

    @property
    def outcome(self):
        if self.result is None:
            return None
        return "win" if self.result > 0 else "loss" if self.result < 0 else "breakeven"


class TradeOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    user: int = Field(validation_alias="user_id")
    strategy: int = Field(validation_alias="strategy_id")
    deployment: int = Field(validation_alias="deployment_id")
    symbol: str
    side: str
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal | None
    strike: Decimal | None
    stop_loss: Decimal | None
    target: Decimal | None
    fees: Decimal
    result: Decimal | None
    outcome: str | None
    status: str
    taken_at: datetime
    closed_at: datetime | None
    is_corrected: bool
    external_id: str | None
    version: int


class Page(BaseModel):
    results: list[TradeOut]


async def session():
    async with make_session() as opened:
        yield opened


async def caller(
    credentials: HTTPAuthorizationCredentials = Depends(bearer),  # noqa: B008
    db: AsyncSession = Depends(session),  # noqa: B008
):
    try:
        claims = jwt.decode(credentials.credentials, KEY, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401) from None
    user = await db.get(User, claims["user_id"])
    if user is None or not (user.is_active and user.is_staff):
        raise HTTPException(401)
    if await count([f"sqlalchemy:{user.id}:{int(time.time())}"]) > LIMIT:
        raise HTTPException(429)
    return user


@app.get("/trades/", dependencies=[Depends(caller)], response_model=Page)
async def trades(user: int, db: AsyncSession = Depends(session)):  # noqa: B008
    found = await db.scalars(
        select(Trade).where(Trade.user_id == user).order_by(Trade.taken_at.desc(), Trade.id.desc()).limit(100)
    )
    return {"results": found.all()}


@app.get("/health/live/")
async def live():
    return {"status": "ok"}

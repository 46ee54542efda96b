"""The two routes that `cargo xtask bench api` loads, as people write them in FastAPI, on a database that titanic filled.

SQLite is asked on the event loop itself: a look takes microseconds, and a thread for each would cost more than it.
"""

import os
import sqlite3
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from uuid import UUID

import asyncpg
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel, Field

URL = os.environ["DATABASE_URL"]
COLUMNS = """id, name, class, sex, age, fare, siblings_or_spouses_aboard, parents_or_children_aboard, survived, version,
    updated_at"""


class Passenger(BaseModel):
    id: UUID
    name: str
    class_: int = Field(alias="class")
    sex: str
    age: float | None
    fare: float | None
    siblings_or_spouses_aboard: int
    parents_or_children_aboard: int
    survived: bool
    version: int
    updated_at: datetime


class Page(BaseModel):
    items: list[Passenger]
    next_cursor: str | None


class Sqlite:
    async def open(self):
        self.connection = sqlite3.connect(URL.removeprefix("sqlite://"))

    async def close(self):
        self.connection.close()

    async def rows(self, sql, value):
        cursor = self.connection.execute(sql.replace("$1", "?"), (value if isinstance(value, int) else str(value),))
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row)) for row in cursor]
        for row in rows:
            row["updated_at"] = datetime.fromtimestamp(row["updated_at"] / 1000, timezone.utc)
        return rows


class Postgres:
    async def open(self):
        self.pool = await asyncpg.create_pool(URL, min_size=10, max_size=10)

    async def close(self):
        await self.pool.close()

    async def rows(self, sql, value):
        return [dict(row) for row in await self.pool.fetch(sql, value)]


database = Postgres() if URL.startswith("postgres") else Sqlite()


@asynccontextmanager
async def lifespan(_):
    await database.open()
    yield
    await database.close()


app = FastAPI(lifespan=lifespan)


@app.get("/api/v1/passengers/{passenger_id}", response_model=Passenger)
async def one(passenger_id: UUID):
    rows = await database.rows(f"select {COLUMNS} from passengers where id = $1", passenger_id)
    if not rows:
        raise HTTPException(404)
    return rows[0]


@app.get("/api/v1/passengers", response_model=Page)
async def page(limit: int = Query(20, ge=1, le=100)):
    rows = await database.rows(f"select {COLUMNS} from passengers order by id limit $1", limit + 1)
    items = rows[:limit]
    cursor = f"a{UUID(str(items[-1]['id'])).hex}" if len(rows) > limit else None
    return {"items": items, "next_cursor": cursor}

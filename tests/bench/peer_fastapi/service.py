"""GET /tokens/{branch_id} as the service that this one replaces has it: FastAPI with synchronous handlers, a SQLAlchemy
session for each request, psycopg2, tokens in plain text. A token that needs a refresh does not occur here.

DATABASE_URL: a database with that service's tables, postgresql+psycopg2://…
"""

import datetime
import os
from typing import Optional

from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, String, Text, create_engine
from sqlalchemy.orm import Session, declarative_base, relationship, sessionmaker

BUFFER = datetime.timedelta(seconds=300)

# 64 callers at once: nobody waits for a connection of the pool.
engine = create_engine(os.environ["DATABASE_URL"], pool_size=20, max_overflow=20)
make_session = sessionmaker(autocommit=False, autoflush=False, bind=engine)
Base = declarative_base()
app = FastAPI(title="Token Generation Service")


class Client(Base):
    __tablename__ = "clients"

    id = Column(Integer, primary_key=True)
    client_id = Column(String(255), nullable=False)
    client_secret = Column(Text, nullable=False)
    redirect_uri = Column(String(512), nullable=False)
    branch_id = Column(String(255), unique=True, index=True, nullable=False)
    workspace_email = Column(String(255), nullable=False)
    workspace_name = Column(String(255))
    is_active = Column(Boolean, default=True)
    created_at = Column(DateTime)
    updated_at = Column(DateTime)
    tokens = relationship("Token", back_populates="client", cascade="all, delete-orphan")


class Token(Base):
    __tablename__ = "tokens"

    id = Column(Integer, primary_key=True)
    client_id = Column(Integer, ForeignKey("clients.id", ondelete="CASCADE"), nullable=False)
    access_token = Column(Text)
    refresh_token = Column(Text)
    expires_at = Column(DateTime)
    is_valid = Column(Boolean, default=True)
    is_revoked = Column(Boolean, default=False)
    token_type = Column(String(50), default="Bearer")
    scope = Column(Text)
    last_refreshed_at = Column(DateTime)
    created_at = Column(DateTime)
    updated_at = Column(DateTime)
    client = relationship("Client", back_populates="tokens")


class TokenAnswer(BaseModel):
    success: bool
    message: str
    client_id: int
    branch_id: str
    access_token: str
    refresh_token: Optional[str] = None
    expires_at: datetime.datetime
    token_type: str


def session():
    opened = make_session()
    try:
        yield opened
    finally:
        opened.close()


@app.get("/tokens/{branch_id}", response_model=TokenAnswer)
def get_token(branch_id: str, db: Session = Depends(session)):
    client = db.query(Client).filter(Client.branch_id == branch_id).first()
    if not client:
        raise HTTPException(404, "Client not found")
    token = (db.query(Token).filter(Token.client_id == client.id, Token.is_valid.is_(True))
             .order_by(Token.created_at.desc()).first())
    if not token:
        raise HTTPException(404, "No valid token found")
    if token.expires_at <= datetime.datetime.utcnow() + BUFFER:
        raise HTTPException(500, "Token expired")
    return TokenAnswer(
        success=True, message="Token retrieved successfully", client_id=client.id, branch_id=branch_id,
        access_token=token.access_token, expires_at=token.expires_at, token_type=token.token_type,
    )

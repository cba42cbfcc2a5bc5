"""fetch_token_original.py BRANCH: what callers of the original have, unchanged, and what it answers."""

import asyncio
import sys

import httpx

async def get_valid_token(branch_id: str) -> str:
    """Get valid access token for a branch from token service"""
    async with httpx.AsyncClient() as client:
        response = await client.get(
            f"http://token-service:8002/tokens/{branch_id}"
        )
        data = response.json()
        
        if data["success"]:
            return data["access_token"]
        else:
            raise Exception(f"Failed to get token: {data.get('message')}")


if __name__ == "__main__":
    print(asyncio.run(get_valid_token(branch_id=sys.argv[1])))

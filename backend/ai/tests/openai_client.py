"""The official client against the demo endpoint: usage is `openai_client.py BASE_URL`. Exits with 0 on success."""

import sys

import openai


def main(base_url: str) -> None:
    client = openai.OpenAI(base_url=base_url, api_key="unused", max_retries=2, timeout=20)
    question = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Some Python code, please"}]

    models = [model.id for model in client.models.list()]
    assert models[0] == "gatehouse-demo", models

    whole = client.chat.completions.create(model="gatehouse-demo", messages=question)
    content = whole.choices[0].message.content
    assert content.startswith("I am Gatehouse's demo model"), content
    assert "```" in content and whole.choices[0].finish_reason == "stop"
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens > 0

    chunks = list(
        client.chat.completions.create(
            model="gatehouse-demo", messages=question, stream=True, stream_options={"include_usage": True}
        )
    )
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert streamed == content, streamed
    assert chunks[-1].usage == whole.usage and not chunks[-1].choices

    short = client.chat.completions.create(model="gatehouse-demo", messages=question, max_completion_tokens=5)
    assert short.choices[0].finish_reason == "length" and short.usage.completion_tokens == 5

    parts = [{"role": "user", "content": [{"type": "text", "text": "in parts"}]}]
    assert "> in parts" in client.chat.completions.create(model="gatehouse-demo", messages=parts).choices[0].message.content

    # The client retries after one 429, and maps the errors to its own exceptions.
    assert client.chat.completions.create(model="demo-429-then-success", messages=question).choices
    expect(openai.NotFoundError, client, "gpt-4o", question)
    expect(openai.BadRequestError, client, "gatehouse-demo", [])
    expect(openai.BadRequestError, client, "demo-context", question)
    once = client.with_options(max_retries=0)
    expect(openai.RateLimitError, once, "demo-quota", question)
    expect(openai.InternalServerError, once, "demo-500", question)


def expect(error: type, client: openai.OpenAI, model: str, messages: list) -> None:
    try:
        client.chat.completions.create(model=model, messages=messages)
    except error as found:
        assert found.body["message"], found
        return
    raise AssertionError(f"{model}: expected {error.__name__}")


main(sys.argv[1])

/* Query strings and forms: what is taken is clean text, and reads the same when it is sent again. */
#include "fuzz.h"

#include "base/strbuf.h"
#include "http/params.h"

static void check_list(const struct http_params *params)
{
	const char *end = params->text + sizeof(params->text);

	FUZZ_CHECK(params->count <= HTTP_PARAMS_MAX);
	for (size_t i = 0; i < params->count; i++) {
		const struct http_param *param = &params->list[i];

		FUZZ_CHECK(fuzz_is_utf8(param->name) && fuzz_is_utf8(param->value));
		FUZZ_CHECK(param->name + strlen(param->name) < end);
		/* A name twice would be another one here. */
		FUZZ_CHECK(http_params_get(params, param->name) == param->value);
	}
}

static void check_again(const struct http_params *params)
{
	static struct http_params again;
	CLEANUP(strbuf_release) struct strbuf text = STRBUF_INIT(HTTP_PARAMS_TEXT_MAX - 2);

	for (size_t i = 0; i < params->count; i++) {
		strbuf_puts(&text, i ? "&" : "");
		strbuf_put_percent(&text, params->list[i].name);
		strbuf_puts(&text, "=");
		strbuf_put_percent(&text, params->list[i].value);
	}
	if (!strbuf_ok(&text)) /* encoded, it may be longer than what is read */
		return;
	FUZZ_CHECK(http_params_parse(text.data, &again) == ERR_OK);
	FUZZ_CHECK(again.count == params->count);
	for (size_t i = 0; i < params->count; i++) {
		FUZZ_CHECK(!strcmp(again.list[i].name, params->list[i].name));
		FUZZ_CHECK(!strcmp(again.list[i].value, params->list[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct http_params *params = malloc(sizeof(*params));
	char *text = fuzz_rest(&in);

	FUZZ_CHECK(params != NULL);
	if (!http_params_parse(text, params)) {
		check_list(params);
		check_again(params);
	}
	free(text);
	free(params);
	return 0;
}

#include "domain/scope.h"

#include <string.h>

#include "base/mem.h"
#include "base/strbuf.h"

#include "base/banned.h"

#define SCOPE_MAX 8192

/* Asked for by their OpenID Connect names, these are answered in full. */
static const struct {
	const char *name, *in_full;
} aliases[] = {
	{ "email", "https://www.googleapis.com/auth/userinfo.email" },
	{ "profile", "https://www.googleapis.com/auth/userinfo.profile" },
};

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !strncmp(text, word, len);
}

static bool is_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	if (a_len == b_len && !strncmp(a, b, a_len))
		return true;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++) {
		const char *name = aliases[i].name, *in_full = aliases[i].in_full;

		if ((is_word(a, a_len, name) && is_word(b, b_len, in_full)) ||
		    (is_word(a, a_len, in_full) && is_word(b, b_len, name)))
			return true;
	}
	return false;
}

/* The next word of *@list, which moves behind it; its length, 0 at the end. */
static size_t next_word(const char **list, const char **ret_word)
{
	size_t len;

	*list += strspn(*list, " ");
	len = strcspn(*list, " ");
	*ret_word = *list;
	*list += len;
	return len;
}

static bool holds(const char *list, const char *scope, size_t len)
{
	const char *word;
	size_t word_len;

	while ((word_len = next_word(&list, &word))) {
		if (is_same(word, word_len, scope, len))
			return true;
	}
	return false;
}

bool scope_covers(const char *granted, const char *wanted)
{
	const char *scope;
	size_t len;

	while ((len = next_word(&wanted, &scope))) {
		if (!holds(granted, scope, len))
			return false;
	}
	return true;
}

char *scope_asked(const struct config *config)
{
	static const char *const identity[] = { "openid", "email" };
	CLEANUP(strbuf_release) struct strbuf asked = STRBUF_INIT(SCOPE_MAX);

	strbuf_puts(&asked, config->google_scope);
	for (size_t i = 0; config->verify_workspace_email && i < 2; i++) {
		if (!holds(config->google_scope, identity[i], strlen(identity[i])))
			strbuf_printf(&asked, " %s", identity[i]);
	}
	return mem_strdup(asked.data);
}

#include "base/envfile.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#include "base/banned.h"

#define ENVFILE_MAX 65536

struct envfile_entry {
	const char *name;
	const char *value;
};

static char *trim(char *s)
{
	char *end;

	s += strspn(s, " \t");
	end = s + strlen(s);
	while (end > s && strchr(" \t\r", end[-1]))
		*--end = '\0';
	return s;
}

static char *unquote(char *value)
{
	size_t len = strlen(value);

	if (len >= 2 && (*value == '"' || *value == '\'') && value[len - 1] == *value) {
		value[len - 1] = '\0';
		return value + 1;
	}
	return value;
}

static bool is_name(const char *s)
{
	size_t len = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_");

	return len && !s[len];
}

static enum err parse_line(struct envfile *file, char *line)
{
	char *equals, *name;

	line = trim(line);
	if (!*line || *line == '#')
		return ERR_OK;
	equals = strchr(line, '=');
	if (!equals)
		return ERR_CONFIG;
	*equals = '\0';
	name = trim(line);
	if (!is_name(name))
		return ERR_CONFIG;
	file->entries = mem_realloc(file->entries, (file->count + 1) * sizeof(*file->entries));
	file->entries[file->count++] = (struct envfile_entry){
		.name = name,
		.value = unquote(trim(equals + 1)),
	};
	return ERR_OK;
}

enum err envfile_read(const char *path, FILE *faults, struct envfile *ret_file)
{
	struct envfile file = { .text = mem_alloc(ENVFILE_MAX + 1) };
	FILE *in = fopen(path, "re");
	enum err err = ERR_OK;
	int number = 0;
	bool has_nul;

	if (in) {
		file.len = fread(file.text, 1, ENVFILE_MAX + 1, in);
		err = ferror(in) ? ERR_CONFIG : ERR_OK;
		fclose(in);
	}
	has_nul = memchr(file.text, '\0', file.len) != NULL; /* what follows would be lost */
	if (!in || err || has_nul || file.len > ENVFILE_MAX) {
		fprintf(faults, "%s: cannot be read: %s\n", path,
			file.len > ENVFILE_MAX ? "over 64 KiB"
			: has_nul              ? "has a NUL byte"
					       : strerror(errno));
		envfile_release(&file);
		return ERR_CONFIG;
	}
	file.text[file.len] = '\0';
	for (char *line = file.text, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		number++;
		if (parse_line(&file, line)) {
			fprintf(faults, "%s: line %d is no NAME=VALUE\n", path, number);
			err = ERR_CONFIG;
		}
	}
	if (err) {
		envfile_release(&file);
		return err;
	}
	*ret_file = file;
	return ERR_OK;
}

const char *envfile_get(const struct envfile *file, const char *name)
{
	for (size_t i = file->count; i > 0; i--) {
		if (!strcmp(file->entries[i - 1].name, name))
			return file->entries[i - 1].value;
	}
	return NULL;
}

void envfile_release(struct envfile *file)
{
	if (file->text)
		explicit_bzero(file->text, ENVFILE_MAX + 1);
	free(file->text);
	free(file->entries);
	*file = (struct envfile){ 0 };
}

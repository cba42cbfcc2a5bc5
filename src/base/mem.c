#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

void *mem_alloc(size_t size)
{
	void *ptr = calloc(1, size ? size : 1);

	if (!ptr)
		abort();
	return ptr;
}

void *mem_realloc(void *ptr, size_t size)
{
	ptr = realloc(ptr, size ? size : 1);
	if (!ptr)
		abort();
	return ptr;
}

char *mem_strdup(const char *s)
{
	return s ? mem_strndup(s, strlen(s)) : NULL;
}

char *mem_strndup(const char *s, size_t len)
{
	char *copy = mem_alloc(len + 1);

	memcpy(copy, s, len);
	return copy;
}

void mem_free_ptr(void *ptr_to_ptr)
{
	free(*(void **)ptr_to_ptr);
}

/*
 * Allocation that does not fail: a process without memory cannot answer anyone, so it
 * aborts and the master starts another. All results are freed with free().
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size); /* zeroed */
void *mem_realloc(void *ptr, size_t size);
char *mem_strdup(const char *s); /* NULL stays NULL */
char *mem_strndup(const char *s, size_t len);

/* For CLEANUP(mem_free_ptr) char *s. */
void mem_free_ptr(void *ptr_to_ptr);

#endif

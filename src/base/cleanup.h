/*
 * Release at the end of the scope, whichever way it is left, instead of goto ladders.
 *
 *	CLEANUP(strbuf_release) struct strbuf body = STRBUF_INIT(65536);
 */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

/* @release takes a pointer to the variable. */
#define CLEANUP(release) __attribute__((cleanup(release)))

/* The result must be looked at: stands on everything that returns enum err. */
#define MUST_CHECK __attribute__((warn_unused_result))

#endif

#include "domain/survey.h"

#include "base/clock.h"
#include "store/survey_store.h"

#include "base/banned.h"

#define EVERY_MS 10000
/* It keeps the database busy for a twentieth of the time at most. */
#define PAUSE_FACTOR 19

/* Whoever moves the time on makes it. */
static bool claim(struct metrics_survey *survey)
{
	int64_t at_ms = survey->next_at_ms;

	return !clock_left_ms(at_ms) &&
	       atomic_compare_exchange_strong(&survey->next_at_ms, &at_ms,
					      clock_monotonic_ms() + SURVEY_MAX_MS);
}

static void keep(struct metrics_survey *survey, const struct survey_row *row)
{
	survey->none = row->none;
	survey->valid = row->valid;
	survey->expiring = row->expiring;
	survey->expired = row->expired;
	survey->reauthorization_required = row->reauthorization_required;
	survey->revoked = row->revoked;
	survey->inactive_clients = row->inactive_clients;
	survey->nearest_expiry_us = row->nearest_expiry_us;
	survey->failing = row->failing;
	survey->oldest_failing_us = row->oldest_failing_us;
	survey->pending_revocations = row->pending_revocations;
	survey->taken_us = clock_unix_us();
}

enum err survey_make(const struct domain *domain)
{
	struct metrics_survey *survey = &domain->shared->survey;
	int64_t begun_ms = clock_monotonic_ms(), ended_ms, pause_ms;
	struct survey_row row;
	enum err err;

	if (!claim(survey))
		return ERR_DB_NO_ROW;
	err = survey_read(domain->db, domain->config->token_expiry_buffer_s, SURVEY_LIMIT_MS, &row);
	if (!err)
		keep(survey, &row);
	ended_ms = clock_monotonic_ms();
	pause_ms = (ended_ms - begun_ms) * PAUSE_FACTOR;
	survey->next_at_ms = ended_ms + (pause_ms > EVERY_MS ? pause_ms : EVERY_MS);
	return err;
}

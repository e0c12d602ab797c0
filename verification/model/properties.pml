/*
 * The properties, by name. SPIN prints a violated assertion with the property's name, which verify.sh searches
 * for. The names are never true.
 */
bool I1_acceptable_history;   /* each call has exactly one tool message before any other message */
bool I2_message_once;         /* an accepted message is in the history, and once */
bool I3_one_writer;           /* only the replica that opened the latest step writes to it */
bool I4_stored_before_told;   /* the history has what a client hears */
bool I5_no_silence;           /* a step ends in the log, or another one replaces it */
bool I6_no_orphan;            /* a running step has a living owner, or a hint */
bool I6_attempts_bounded;     /* a step runs ATTEMPTS times, without runs that a replica released */
bool answer_is_true;          /* a script's reply on this call, or a refusal to a client, is true */
bool cancel_hits_its_step;    /* a cancel preempts the step that was meant, which never runs again */
bool bounds_suffice;          /* the model's own arrays are large enough */

#define require(property, condition) assert(property || (condition))

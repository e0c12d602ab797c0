/*
 * What must hold, by name. SPIN shows a violated assertion with the property's name, which is what verify.sh looks for. The names are
 * never true.
 */
bool I1_acceptable_history;   /* every call has exactly one tool message before anything else; answers follow questions */
bool I2_message_once;         /* an accepted message is in the history, and once */
bool I3_one_writer;           /* only the step that the log opened last is written to, by whoever opened it */
bool I4_stored_before_told;   /* what a client hears is in the history */
bool I5_no_silence;           /* a step is not left for another one: it ends in the log, or another goes on with it */
bool I6_no_orphan;            /* a running step has a living owner, or the sweeper will look */
bool I6_attempts_bounded;     /* a step runs ATTEMPTS times, not counting runs that a drained replica gave back */
bool answer_is_true;          /* what a script's answer says of this call, or a refusal to a client, is so */
bool cancel_hits_its_step;    /* a cancel seizes the step that was meant, which is not run again */
bool bounds_suffice;          /* the model's own arrays are large enough */

#define require(property, condition) assert(property || (condition))

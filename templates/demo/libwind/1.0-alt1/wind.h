/* libwind: winds by the scale that Beaufort drew up in 1805. */
#ifndef WIND_H
#define WIND_H

/* The force, 0 to 12, of a wind of so many metres a second. */
int wind_force(double metres_per_second);

/* What sailors call a wind of this force. */
const char *wind_name(int force);

#endif

/* libwind: winds by the scale that Beaufort drew up in 1805. */
#ifndef WIND_H
#define WIND_H

/* What a speed is given in. */
enum wind_unit { WIND_METRES_PER_SECOND, WIND_KNOTS };

/* The force, 0 to 12, of a wind of this speed. */
int wind_force(double speed, enum wind_unit unit);

/* What sailors call a wind of this force. */
const char *wind_name(int force);

#endif

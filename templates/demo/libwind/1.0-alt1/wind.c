#include "wind.h"

/* The speed at which each force begins, in metres a second. */
static const double begins[] = {0.0, 0.3, 1.6, 3.4, 5.5, 8.0, 10.8, 13.9, 17.2, 20.8, 24.5, 28.5, 32.7};

static const char *const names[] = {
    "",
    "light air",
    "light breeze",
    "gentle breeze",
    "moderate breeze",
    "fresh breeze",
    "strong breeze",
    "near gale",
    "gale",
    "strong gale",
    "storm",
    "violent storm",
    "hurricane",
};

int wind_force(double metres_per_second)
{
    int force = 12;
    while (force > 0 && metres_per_second < begins[force])
        force--;
    return force;
}

const char *wind_name(int force)
{
    return names[force < 0 ? 0 : force > 12 ? 12 : force];
}

/* Answers for the kernel's IPVS where that is missing, so that a keepalived
 * loaded with this library gets far enough to show its configuration. It takes
 * the place of functions of libnl. */
#include <stddef.h>

struct nl_sock;
struct nl_msg;
typedef int (*callback)(struct nl_msg *, void *);

static callback calls[16];
static void *args[16];

enum { FINISH = 1, ACK = 4 };

int genl_ctrl_resolve(struct nl_sock *s, const char *name) { return 40; }

int nl_send_auto(struct nl_sock *s, struct nl_msg *m) { return 1; }

int nl_socket_modify_cb(struct nl_sock *s, int type, int kind, callback f, void *arg)
{
	if (type >= 0 && type < 16) {
		calls[type] = f;
		args[type] = arg;
	}
	return 0;
}

int nl_recvmsgs_default(struct nl_sock *s)
{
	if (calls[FINISH])
		calls[FINISH](NULL, args[FINISH]);
	if (calls[ACK])
		calls[ACK](NULL, args[ACK]);
	return 0;
}

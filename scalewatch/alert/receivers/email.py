"""E-mail through an SMTP server."""

from __future__ import annotations

import smtplib
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any, ClassVar, final

from scalewatch.alert.notification import Notification, clean, plain_text
from scalewatch.alert.receiver import Receiver, settings_of
from scalewatch.alert.secret import DeliveryError, Secret
from scalewatch.alert.transport.http import DeadlineSocket, connect
from scalewatch.errors import ConfigError

__all__ = ["Email"]

SECURITY = ("starttls", "tls", "none")


@final
class Email(Receiver):
    """Sends messages as e-mail, those of one run as one thread.

    Args:
        host, port: of the SMTP server. sender: address it comes from. to: addresses it goes to.
        user: whom to log in as, empty for nobody. password: of that user.
        security: "starttls", "tls" (port 465), or "none", which is for a relay on this machine only.

    Raises:
        ConfigError: if one of them cannot be.
    """

    name: ClassVar[str] = "email"

    def __init__(
        self,
        host: str,
        port: int,
        sender: str,
        to: Sequence[str],
        *,
        user: str = "",
        password: Secret | None = None,
        security: str = "starttls",
    ) -> None:
        super().__init__()
        if not host or not 0 < port < 65536:
            raise ConfigError(f"`host` and `port` must say where the SMTP server is (got {host!r:.60}, {port!r}).")
        if security not in SECURITY:
            raise ConfigError(f"`security` must be one of {', '.join(SECURITY)} (got {security!r:.60}).")
        if security == "none" and host not in ("localhost", "127.0.0.1"):
            raise ConfigError("`security` must be starttls or tls (got 'none', which is for localhost only).")
        self._sender, self._to = _address("sender", sender), [_address("to", address) for address in to]
        if not self._to:
            raise ConfigError('`to` must hold at least one address, such as ["me@example.org"].')
        self._server, self._security = (host, port), security
        self._user, self._password = user, password

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Email:
        """Make one; the arguments of the class, and `password_env`, the name of a variable.

        Raises:
            ConfigError: if one of them cannot be.
        """
        chosen = settings_of(
            settings,
            host=None,
            port=587,
            sender=None,
            to=[],
            user="",
            password_env="SCALEWATCH_SMTP_PASSWORD",
            security="starttls",
        )
        variable = chosen.pop("password_env")
        password = Secret(variable) if chosen["user"] else None
        return cls(**{**chosen, "host": chosen["host"] or ""}, password=password)

    def send(self, notification: Notification, timeout: float) -> None:
        """Send one message.

        Raises:
            DeliveryError: if the server did not take it.
        """
        why = self._sent(self._message(notification), time.monotonic() + timeout)
        if why is not None:
            raise why

    def _message(self, notification: Notification) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = clean(notification.title, 200)
        message["From"], message["To"] = self._sender, ", ".join(self._to)
        message["Date"] = formatdate(notification.at_unix_s)
        message["Message-ID"] = f"<{notification.id}@scalewatch.invalid>"
        message["References"] = f"<run-{''.join(c for c in notification.run_id if c.isalnum())}@scalewatch.invalid>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(plain_text(notification) + "\n")
        return message

    def _sent(self, message: EmailMessage, deadline: float) -> DeliveryError | None:
        smtp = smtplib.SMTP(local_hostname=socket.gethostname() or "localhost")  # else it asks the name server
        lines: list[DeadlineSocket] = []  # not asked of `smtp`, which forgets its own when it fails
        try:
            lines.append(connect(*self._server, deadline, tls=self._security == "tls"))
            self._talk(smtp, lines, message)
            return None
        except smtplib.SMTPResponseException as fault:
            later = 400 <= fault.smtp_code < 500
            is_login = isinstance(fault, smtplib.SMTPAuthenticationError)
            return DeliveryError(f"SMTP {fault.smtp_code}", useless=not later, fatal=is_login and not later)
        except smtplib.SMTPRecipientsRefused:
            return DeliveryError("the server refused every recipient", useless=True)
        except TimeoutError:
            return DeliveryError("no answer in time")
        except ssl.SSLError:
            return DeliveryError("no safe connection (TLS)")
        except socket.gaierror:
            return DeliveryError("the name of the host is unknown")
        except (OSError, smtplib.SMTPException, MessageError, ValueError) as fault:
            late = time.monotonic() >= deadline
            return DeliveryError("no answer in time" if late else f"the connection broke ({type(fault).__name__})")
        finally:
            for line in lines:
                line.shut()

    def _talk(self, smtp: smtplib.SMTP, lines: list[DeadlineSocket], message: EmailMessage) -> None:
        smtp.sock = lines[0]  # type: ignore[assignment]  # all that is asked of it: sendall, makefile, close
        code, answer = smtp.getreply()
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        smtp.ehlo_or_helo_if_needed()
        if self._security == "starttls":
            code, answer = smtp.docmd("STARTTLS")
            if code != 220:
                raise smtplib.SMTPResponseException(code, answer)
            lines.append(lines[0].secured(self._server[0]))
            smtp.sock, smtp.file = lines[1], None  # type: ignore[assignment]
            smtp.helo_resp = smtp.ehlo_resp = None  # what was said before in the clear does not count
            smtp.esmtp_features = {}
            smtp.does_esmtp = False
            smtp.ehlo()
        if self._user and self._password is not None:
            smtp.login(self._user, self._password.reveal())
        smtp.send_message(message)
        smtp.docmd("QUIT")


def _address(name: str, text: object) -> str:
    try:
        address = Address(addr_spec=text) if isinstance(text, str) else None
    except (MessageError, ValueError, IndexError):
        address = None
    if address is None or not address.domain:
        raise ConfigError(f"`{name}` must be an e-mail address such as me@example.org (got {text!r:.80}).")
    return address.addr_spec

"""The drop-in gateway: what applications call instead of their cluster, `connector gateway`.

`app` decides whether a request is answered here or passes through (`passing`). A search is read (`reading`), its window
put in order (`ordering`), and answered in the engine's shape (`answering`). Beside that are an HTTP API of our own
(`api`), a page (`ui`), and configurations of other proxies (`proxy_config`)."""

variable "subscription_id" {
  description = "Azure subscription."
  type        = string
}

variable "name" {
  description = "Name of the installation and prefix of its resources, used in k8s/overlays/azure/load-balancer.yaml."
  type        = string
  default     = "gatehouse"
}

variable "global_name" {
  description = "Prefix of globally unique names in Azure (registry, Redis, OpenAI): 5 to 24 lower-case letters and digits."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9]{4,23}$", var.global_name))
    error_message = "Expected 5 to 24 lower-case letters and digits, starting with a letter."
  }
}

variable "location" {
  description = "Azure region with three zones and Azure OpenAI."
  type        = string
  default     = "swedencentral"
}

variable "zones" {
  description = "Availability zones of the region, two or three."
  type        = list(string)
  default     = ["1", "2", "3"]
}

variable "network" {
  description = "Private IPv4 network, a /16. k8s/overlays/azure/to-redis.yaml contains its data range."
  type        = string
  default     = "10.40.0.0/16"
}

variable "kubernetes_version" {
  description = "Kubernetes minor version of the cluster; the manifests are validated against 1.31 to 1.36."
  type        = string
  default     = "1.35"
}

variable "api_allowed_cidrs" {
  description = "Networks that may access the Kubernetes API, such as your office and your CI. Never the whole internet."
  type        = list(string)
  validation {
    condition     = length(var.api_allowed_cidrs) > 0 && alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Expected at least one network, and none that is the whole internet."
  }
}

variable "admin_group_id" {
  description = "Entra group whose members administer the cluster; local accounts are off."
  type        = string
}

variable "nodes" {
  description = "Minimum and maximum number of worker nodes in all zones together."
  type = object({
    min = number
    max = number
  })
  default = { min = 3, max = 9 }
}

variable "node_type" {
  description = "VM size of the worker nodes (x86-64)."
  type        = string
  default     = "Standard_D2ds_v5"
}

variable "redis" {
  description = "`managed`: Azure Managed Redis. `cache`: an existing Azure Cache for Redis, which is being retired."
  type        = string
  default     = "managed"
  validation {
    condition     = contains(["managed", "cache"], var.redis)
    error_message = "Expected managed or cache."
  }
}

variable "redis_sku" {
  description = "SKU of Azure Managed Redis."
  type        = string
  default     = "Balanced_B1"
}

variable "model" {
  description = "The Azure OpenAI deployment: name is OPENAI_DEPLOYMENT, capacity is in thousands of tokens per minute."
  type = object({
    name     = string
    version  = string
    sku      = string
    capacity = number
  })
  default = { name = "gpt-4o-mini", version = "2024-07-18", sku = "GlobalStandard", capacity = 50 }
}

variable "openai_keys" {
  description = "Whether Azure OpenAI also accepts keys, besides Entra identities."
  type        = bool
  default     = false
}

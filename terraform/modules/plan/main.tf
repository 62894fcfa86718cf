# Names, address plan and node numbers that both clouds share. Pure: no provider, no resource.
terraform {
  required_version = ">= 1.11"
}

variable "name" {
  description = "Name of the installation, the prefix of everything it makes: 3 to 20 lower-case letters, digits and hyphens."
  type        = string
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "The name has 3 to 20 lower-case letters, digits and single hyphens, begins with a letter and does not end with a hyphen."
  }
}

variable "network" {
  description = "Private IPv4 network of the installation, a /16."
  type        = string
  validation {
    condition     = can(cidrhost(var.network, 0)) && endswith(var.network, "/16") && cidrhost(var.network, 0) == split("/", var.network)[0]
    error_message = "The network is a /16 written with its first address, such as 10.40.0.0/16."
  }
  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", var.network))
    error_message = "The network is private (RFC 1918)."
  }
  validation {
    condition     = !contains(["172.20.0.0/16", "172.21.0.0/16"], var.network)
    error_message = "172.20.0.0/16 and 172.21.0.0/16 are the cluster's services and pods."
  }
}

variable "zones" {
  description = "Availability zones, two to four."
  type        = list(string)
  validation {
    condition     = length(var.zones) >= 2 && length(var.zones) <= 4 && length(distinct(var.zones)) == length(var.zones)
    error_message = "Two to four different zones: one is not highly available, and the address plan has room for four."
  }
}

variable "nodes" {
  description = "Fewest and most worker nodes over all zones."
  type = object({
    min = number
    max = number
  })
  validation {
    condition     = var.nodes.min >= 1 && var.nodes.max >= var.nodes.min
    error_message = "At least one node, and no fewer at most than at least."
  }
}

locals {
  data_cidr   = cidrsubnet(var.network, 4, 14)
  public_cidr = cidrsubnet(var.network, 4, 15)

  zones = {
    for index, zone in var.zones : zone => {
      nodes_cidr  = cidrsubnet(var.network, 3, index)
      data_cidr   = cidrsubnet(local.data_cidr, 2, index)
      public_cidr = cidrsubnet(local.public_cidr, 4, index)
    }
  }
}

output "zones" {
  description = "By zone: a /19 for nodes (and their pods where these have addresses of the network), a /22 for data services, a /24 that is public."
  value       = local.zones
}

output "nodes_cidr" {
  description = "All nodes of all zones: the lower half of the network."
  value       = cidrsubnet(var.network, 1, 0)
}

output "data_cidr" {
  description = "All data services of all zones."
  value       = local.data_cidr
}

output "services_cidr" {
  description = "Addresses of Kubernetes services, outside the network."
  value       = "172.20.0.0/16"
}

output "pods_cidr" {
  description = "Addresses of pods where they are an overlay, outside the network."
  value       = "172.21.0.0/16"
}

output "nodes_per_zone" {
  description = "Fewest and most nodes in each zone, so that every zone gets at least one."
  value = {
    min = ceil(var.nodes.min / length(var.zones))
    max = ceil(var.nodes.max / length(var.zones))
  }
}

output "repositories" {
  description = "Image repositories, as the Kubernetes overlays name them."
  value       = toset(["gatehouse/gateway", "gatehouse/backend"])
}

